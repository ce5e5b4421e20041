"""Builds a diarization model of random weights that pyannote.audio really loads, in the form of its own models.

Who speaks when is random but always the same; how the model is loaded and asked is exactly as with a trained one.
Needs pyannote.audio.
"""

CHUNK_S = 2.0
SPEAKERS = 3
DIMENSION = 32
PLDA_DIMENSION = 16

CONFIG = """dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    segmentation_step: 0.25
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""


def build(folder):
    """Write config.yaml and the three parts of a model into `folder`, and return it."""
    import warnings

    with warnings.catch_warnings():  # about a decoder of audio files, which isn't used
        warnings.simplefilter("ignore")
        return _build(folder)


def _build(folder):
    import torch
    from pyannote.audio.models.embedding import XVectorMFCC
    from pyannote.audio.models.segmentation import PyanNet

    for part in ("segmentation", "embedding", "plda"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    torch.manual_seed(7)
    lstm = {"hidden_size": 8, "num_layers": 1}
    segmentation = PyanNet(lstm=lstm, linear={"hidden_size": 8, "num_layers": 1})
    _save(segmentation, _specifications(), folder / "segmentation", gain=6.0)
    _save(XVectorMFCC(dimension=DIMENSION), _embedding_specifications(), folder / "embedding")
    _write_plda(folder / "plda")
    return folder


def _specifications():
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    return Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=CHUNK_S,
        classes=[f"speaker#{number}" for number in range(SPEAKERS)],
        powerset_max_classes=2,
        permutation_invariant=True,
    )


def _embedding_specifications():
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    return Specifications(problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=CHUNK_S)


def _save(model, specifications, folder, gain=1.0):
    """Save a model as its trainer would; a larger `gain` makes its decisions change more often."""
    import torch

    model.specifications = specifications
    model.setup()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.startswith(("lstm", "linear", "classifier")):
                weights.mul_(gain)
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.6.0",
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def _write_plda(folder):
    import numpy as np

    random = np.random.default_rng(5)

    def values(*shape):
        return random.normal(0, 1, shape)

    np.savez(
        folder / "xvec_transform.npz",
        mean1=values(DIMENSION),
        mean2=values(PLDA_DIMENSION),
        lda=values(DIMENSION, PLDA_DIMENSION),
    )
    np.savez(
        folder / "plda.npz",
        mu=values(PLDA_DIMENSION),
        tr=values(PLDA_DIMENSION, PLDA_DIMENSION) + 4 * np.eye(PLDA_DIMENSION),
        psi=np.linspace(4, 0.5, PLDA_DIMENSION),
    )
