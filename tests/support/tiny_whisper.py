"""Builds a Whisper of random weights, less than a megabyte, in the format that faster-whisper really loads.

What it says is random but always the same; how it is loaded and asked is exactly as with a trained model. Needs
ctranslate2 and tokenizers, which come with faster-whisper.
"""

WIDTH = 16
HEADS = 2
LAYERS = 2
MELS = 80
ENCODER_POSITIONS = 1500
DECODER_POSITIONS = 448
TIMESTAMPS = 1501
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
LETTERS = 256
"""The tokens of single bytes; they are made unlikely, so that the model says words."""


def build(folder):
    """Write model.bin, config.json, vocabulary.json and tokenizer.json into `folder`, and return it."""
    import numpy as np
    from ctranslate2.specs import WhisperSpec

    folder.mkdir(parents=True, exist_ok=True)
    tokens, texts = _tokens()
    spec = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    _fill(spec, len(tokens), np.random.default_rng(3))
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.lang_ids = [tokens.index("<|en|>")]
    spec.config.alignment_heads = [(LAYERS - 1, head) for head in range(HEADS)]
    spec.validate()
    spec.save(str(folder))
    _write_tokenizer(folder, tokens, texts)
    return folder


def _tokens():
    """Return all tokens in order of their ids, and how many of them are text."""
    from tokenizers.pre_tokenizers import ByteLevel

    text = [*sorted(ByteLevel.alphabet()), *(f"Ġ{word}" for word in WORDS)]
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", *tasks, "<|notimestamps|>"]
    times = [f"<|{index * 0.02:.2f}|>" for index in range(TIMESTAMPS)]
    return text + special + times, len(text)


def _write_tokenizer(folder, tokens, texts):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens[:texts])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens[texts:]])
    tokenizer.save(str(folder / "tokenizer.json"))


def _fill(spec, vocabulary, random):
    """Give every layer random weights of its shape, small enough for no token to win by far."""

    def weights(*shape):
        return random.normal(0, 0.3, shape).astype("float32")

    def linear(layer, outputs, inputs):
        layer.weight, layer.bias = weights(outputs, inputs), weights(outputs)

    def norm(layer):
        layer.gamma, layer.beta = 1 + weights(WIDTH), weights(WIDTH)

    def attention(layer, *sizes):
        norm(layer.layer_norm)
        for part, size in zip(layer.linear, sizes, strict=True):
            linear(part, size * WIDTH, WIDTH)

    def feed_forward(layer):
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * WIDTH, WIDTH)
        linear(layer.linear_1, WIDTH, 4 * WIDTH)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weights(WIDTH, MELS, 3), weights(WIDTH)
    encoder.conv2.weight, encoder.conv2.bias = weights(WIDTH, WIDTH, 3), weights(WIDTH)
    encoder.position_encodings.encodings = weights(ENCODER_POSITIONS, WIDTH)
    decoder.position_encodings.encodings = weights(DECODER_POSITIONS, WIDTH)
    decoder.embeddings.weight = weights(vocabulary, WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.projection.bias = weights(vocabulary)
    decoder.projection.bias[:LETTERS] = -100
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in encoder.layer:
        attention(layer.self_attention, 3, 1)
        feed_forward(layer.ffn)
    for layer in decoder.layer:
        attention(layer.self_attention, 3, 1)
        attention(layer.attention, 1, 2, 1)
        feed_forward(layer.ffn)
