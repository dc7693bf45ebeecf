"""Weights for ifBO that were never trained: python untrained_ifbo.py FOLDER."""

import sys
from pathlib import Path

import torch
from ifbo.bar_distribution import FullSupportBarDistribution
from ifbo.download import FILENAME, WEIGHTS_FINAL_NAME
from ifbo.encoders import Linear, get_variable_num_features_encoder
from ifbo.positional_encodings import NoPositionalEncoding
from ifbo.transformer import TransformerModel

torch.manual_seed(0)
model = TransformerModel(
    encoder=get_variable_num_features_encoder(Linear)(12, 16),
    ninp=16,
    nhead=2,
    nhid=16,
    nlayers=1,
    y_encoder=Linear(1, 16),
    pos_encoder=NoPositionalEncoding(16, 2000),
    decoder_dict={"standard": (None, 20)},
)
model.criterion = FullSupportBarDistribution(torch.linspace(0.0, 1.0, 21))
folder = Path(sys.argv[1]) / ".model"
folder.mkdir(parents=True)
(folder / FILENAME("0.0.1")).touch()  # as if it had been brought and unpacked
torch.save(model, folder / WEIGHTS_FINAL_NAME("0.0.1"))
