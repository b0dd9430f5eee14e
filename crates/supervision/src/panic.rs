//! Panics of other people's closures, as text.

use std::any::Any;
use std::sync::Arc;

/// What a panic said, as far as that can be read.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Arc<str> {
    match payload.downcast_ref::<&str>() {
        Some(text) => (*text).into(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.as_str().into(),
            None => "panic without a message".into(),
        },
    }
}
