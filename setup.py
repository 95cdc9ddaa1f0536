"What pyproject.toml leaves open, out of settings.ini."
from configparser import ConfigParser
from setuptools import setup, find_namespace_packages

config = ConfigParser(delimiters=["="])
config.read("settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

setup(
    keywords=cfg["keywords"].split(),
    license_expression=cfg["license"],
    author=cfg["author"],
    project_urls={k: cfg[v] for k, v in {"Source": "git_url", "Documentation": "doc_url"}.items() if cfg[v]},
    install_requires=cfg["requirements"].split(),
    extras_require={"dev": cfg["dev_requirements"].split(), "onnx": cfg["onnx_requirements"].split()},
    package_dir={"": "."},  # so that an editable install puts this folder on the path, where nbdev finds tools/
    packages=find_namespace_packages(include=["mnist_cnn", "mnist_cnn.*"]),
    package_data={"mnist_cnn.mnist": ["*"], "mnist_cnn.static": ["*"], "mnist_cnn.native": ["*"], "mnist_cnn.weights": ["*"], "mnist_cnn": ["py.typed"]},
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": ["mnist_cnn=mnist_cnn._modidx:d"]},
)
