//! What a server needs before it can run: a Python with mlx_lm, and a model.
