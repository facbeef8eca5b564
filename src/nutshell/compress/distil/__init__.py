"""`nutshell compress distil`: a smaller model learns to do what its teacher does.

Our own networks learn, over PyTorch's tensors: the same functions that draw. The way, with the file of each step: the
two models (`pair`), what is to be learned from (`data`, kept by `rows`), the networks (`networks`), what a batch
teaches (`lessons`), the loop (`learn`), memory (`need`), the folder that is written (`method`). `run.distil` is the
whole way in one function. Importing this loads no PyTorch.
"""
