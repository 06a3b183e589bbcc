"""femtotui.core: a GPT and its training in NumPy. No screen, no printing.

Reading order: config, model (layers, attention, positions, folding, gpt), training (optimizers, batches,
workers, training), tokenizers, sampling, run_folder (info, folder, recorder).

Dimension key, used as suffixes of array names (`x_BTD` has shape (B, T, D)):

    B  sequences in a batch or chunk      H  attention heads
    T  tokens in a sequence (context)     S  size of a head: D // H
    D  width (embedding degree)           V  vocabulary
    N  B * T, tokens of a chunk           F  4 * D, hidden units of the feed-forward
    L  layers                             P  all parameters, one flat vector
    A  D + 1: with a column or row for the bias
    W  validation windows, or work space  K  matrices in a stack, or known tokens

Gradients are `d` + name: `dx_ND` is the derivative of the loss with respect to `x_ND`.
"""
