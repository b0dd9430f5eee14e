//! The weights of the tiny model.

use super::{
    HEAD, HEADS, HIDDEN, INTERMEDIATE, KEY_VALUE_HEADS, LAYERS,
    random::Random,
    safetensors::Tensors,
    tokenizer::{FIRST_WORD, VOCABULARY},
};

/// Any number; this one gives answers that do not run in a short circle.
const SEED: u64 = 7;

/// How far the words' logits spread. Wide, so that even a sampled answer takes no token whose logit is 0.
const LOGIT_SPREAD: f64 = 1.2;

pub(super) fn weights() -> Vec<u8> {
    let mut random = Random::new(SEED);
    let mut tensors = Tensors::default();
    let mut matrix = |tensors: &mut Tensors, name: &str, rows: usize, columns: usize, scale: f64| {
        let scale = scale / (columns as f64).sqrt();
        tensors.push(name, &[rows, columns], (0..rows * columns).map(|_| single(random.normal() * scale)));
    };
    matrix(&mut tensors, "model.embed_tokens.weight", VOCABULARY, HIDDEN, (HIDDEN as f64).sqrt());
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        let key_value = KEY_VALUE_HEADS * HEAD;
        ones(&mut tensors, &name("input_layernorm"));
        matrix(&mut tensors, &name("self_attn.q_proj"), HEADS * HEAD, HIDDEN, 1.5);
        matrix(&mut tensors, &name("self_attn.k_proj"), key_value, HIDDEN, 1.5);
        matrix(&mut tensors, &name("self_attn.v_proj"), key_value, HIDDEN, 1.5);
        matrix(&mut tensors, &name("self_attn.o_proj"), HIDDEN, HEADS * HEAD, 1.5);
        ones(&mut tensors, &name("post_attention_layernorm"));
        matrix(&mut tensors, &name("mlp.gate_proj"), INTERMEDIATE, HIDDEN, 1.0);
        matrix(&mut tensors, &name("mlp.up_proj"), INTERMEDIATE, HIDDEN, 1.0);
        matrix(&mut tensors, &name("mlp.down_proj"), HIDDEN, INTERMEDIATE, 1.0);
    }
    ones(&mut tensors, "model.norm.weight");
    let zeros = std::iter::repeat_n(0.0, FIRST_WORD * HIDDEN);
    let words = (FIRST_WORD * HIDDEN..VOCABULARY * HIDDEN).map(|_| single(random.normal() * LOGIT_SPREAD));
    tensors.push("lm_head.weight", &[VOCABULARY, HIDDEN], zeros.chain(words));
    tensors.into_bytes()
}

fn ones(tensors: &mut Tensors, name: &str) {
    tensors.push(name, &[HIDDEN], [1.0; HIDDEN]);
}

#[allow(clippy::cast_possible_truncation, reason = "weights are meant to be single")]
fn single(number: f64) -> f32 {
    number as f32
}
