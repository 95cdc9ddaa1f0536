"What pyproject.toml leaves open, out of settings.ini."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_namespace_packages
from setuptools.command.build_py import build_py
import sys

config = ConfigParser(delimiters=["="])
config.read("settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

class WithBook(build_py):
    "Puts the notebooks, without outputs, into the package that is built; one that is installed to be edited has them beside it."
    def run(self):
        super().run()
        if self.editable_mode or not (here := Path(__file__).resolve().parent).joinpath("nbs").is_dir(): return
        sys.path.insert(0, str(here))
        from mnist_cnn.cli import pack_book
        pack_book(here, Path(self.build_lib, "mnist_cnn", "book.zip"))


setup(
    cmdclass={"build_py": WithBook},
    keywords=cfg["keywords"].split(),
    license_expression=cfg["license"],
    author=cfg["author"],
    project_urls={k: cfg[v] for k, v in {"Source": "git_url", "Documentation": "doc_url"}.items() if cfg[v]},
    install_requires=cfg["requirements"].split(),
    extras_require={"dev": cfg["dev_requirements"].split(), "onnx": cfg["onnx_requirements"].split(), "book": cfg["book_requirements"].split()},
    package_dir={"": "."},  # so that an editable install puts this folder on the path, where nbdev finds tools/
    packages=find_namespace_packages(include=["mnist_cnn", "mnist_cnn.*"]),
    package_data={"mnist_cnn.mnist": ["*"], "mnist_cnn.static": ["*"], "mnist_cnn.native": ["*"], "mnist_cnn.weights": ["*"], "mnist_cnn": ["py.typed"]},
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": ["mnist_cnn=mnist_cnn._modidx:d"]},
)
