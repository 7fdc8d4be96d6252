"Hands the values of settings.ini to setuptools; nothing is written twice."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=["="], interpolation=None)
ini.read(here/"settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
words = lambda key: cfg.get(key, "").split()
setup(
    name=cfg["lib_name"], version=cfg["version"], description=cfg["description"], keywords=words("keywords"),
    author=cfg["author"], license_expression=cfg["license"], python_requires=">=" + cfg["min_python"],
    project_urls={"Source": cfg["git_url"]},
    long_description=(here/"README.md").read_text(encoding="utf-8"), long_description_content_type="text/markdown",
    classifiers=["Framework :: Jupyter", f"Intended Audience :: {cfg['audience']}",
                 *(f"Programming Language :: Python :: {v}" for v in words("python_versions"))],
    packages=find_packages(include=[cfg["lib_path"] + "*"]), include_package_data=True,    # see MANIFEST.in
    install_requires=words("requirements"),
    extras_require={key.removesuffix("_requirements"): words(key) for key in cfg if key.endswith("_requirements")},
    entry_points={"console_scripts": words("console_scripts"),
                  "nbdev": [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"]},
)
