"""Links from PyTorch's names in backticks, as in `nn.Conv2d` or `F.pad(x, (1, 1))`, to its documentation.

Only names listed here are linked, each of which has a page of its own there (but for OTHERS, which say where).
"""
import re

DOCS = 'https://docs.pytorch.org/'
PAGES = {
    'nn': '''AdaptiveAvgPool2d AdaptiveMaxPool2d AvgPool1d AvgPool2d AvgPool3d BatchNorm1d BatchNorm2d BCEWithLogitsLoss Conv1d Conv2d Conv3d
        ConvTranspose2d CrossEntropyLoss Dropout Dropout2d Embedding Fold GELU GroupNorm Identity LayerNorm LazyLinear LeakyReLU Linear
        LogSoftmax MaxPool1d MaxPool2d MaxPool3d Module ModuleList MSELoss NLLLoss PixelShuffle ReLU Sequential Sigmoid SiLU Softmax Tanh
        Unfold Upsample ZeroPad2d parallel.DistributedDataParallel''',
    'nn.functional': '''adaptive_avg_pool2d affine_grid avg_pool2d batch_norm conv1d conv2d conv_transpose2d cross_entropy dropout fold gelu
        grid_sample interpolate layer_norm linear log_softmax max_pool2d nll_loss one_hot pad relu sigmoid softmax unfold''',
    'optim': 'Adam AdamW NAdam RMSprop SGD lr_scheduler.CosineAnnealingLR lr_scheduler.LinearLR lr_scheduler.OneCycleLR lr_scheduler.StepLR',
    'Tensor': 'backward contiguous detach item permute reshape stride to unfold view',
    '': '''as_strided bincount cat compile einsum empty flatten from_numpy full load manual_seed matmul no_grad ones permute rand randn randperm
        roll rot90 save set_float32_matmul_precision set_num_threads stack tensor topk use_deterministic_algorithms where zeros''',
    'autograd': 'grad'}
OTHERS = {
    'torch.distributed': 'docs/stable/distributed.html', 'torch.optim': 'docs/stable/optim.html', 'torch.nn.functional': 'docs/stable/nn.functional.html',
    'torch.utils.data.DataLoader': 'docs/stable/data.html#torch.utils.data.DataLoader',
    'torch.export': 'docs/stable/user_guide/torch_compiler/export/api_reference.html#module-torch.export',
    'torch.inference_mode': 'docs/stable/generated/torch.autograd.grad_mode.inference_mode.html',
    'torch.nn.Flatten': 'docs/stable/generated/torch.nn.modules.flatten.Flatten.html',
    'torch.autocast': 'docs/stable/amp.html#torch.autocast',
    'torchvision.datasets.MNIST': 'vision/stable/generated/torchvision.datasets.MNIST.html'}
ADDRESSES = {**{n: f'docs/stable/generated/{n}.html' for group, names in PAGES.items() for n in
                ('.'.join(filter(None, ('torch', group, name))) for name in names.split())}, **OTHERS}
BY_ITSELF = {n.split('.')[-1]: n for n in ('torch.utils.data.DataLoader', 'torch.nn.parallel.DistributedDataParallel')}

# what stays as it is: code, headings, HTML tags and what is a link already; and then a name in backticks, perhaps called
NAME = re.compile(r'(?s:^(```+|~~~+).*?^\1)|^#.*$|<[^>]*>|\[[^\]]*\]\([^)]*\)|(?<!`)`((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(\([^`]*\))?`(?!`)', re.M)


def address(name):
    "Where PyTorch documents what the book calls `name` (`nn.` and `F.` as it imports them), or None."
    full = BY_ITSELF.get(name) or re.sub(r'^F\.', 'torch.nn.functional.', re.sub(r'^(nn|optim|Tensor)\.', r'torch.\1.', name))
    return DOCS + ADDRESSES[full] if full in ADDRESSES else None


def link_torch(md):
    "Markdown with PyTorch's names linked to its documentation."
    return NAME.sub(lambda m: f'[{m[0]}]({to})' if m[2] and (to := address(m[2])) else m[0], md)
