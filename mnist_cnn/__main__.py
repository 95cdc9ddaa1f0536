"`python -m mnist_cnn` is the command `mnist-cnn`"
import sys

from mnist_cnn.cli import main

sys.exit(main())
