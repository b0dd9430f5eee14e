//! A body in chunks: sizes and data, and nothing else.

use crate::Refusal;

/// Where in the chunks the reader is.
#[derive(Debug, Default)]
pub(super) struct Chunks(State);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// Before or within a size.
    #[default]
    Start,
    Size {
        digits: u8,
        size: u64,
    },
    /// After a size and its CR.
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// After the last chunk's line.
    LastCr,
    LastLf,
    Over,
}

/// A size of 4 GiB is beyond every limit on bodies.
const DIGITS_MAX: u8 = 8;

/// What a broken chunk is answered with.
pub(super) fn refusal() -> Refusal {
    super::malformed("The chunks of the request's body are malformed; chunk extensions and trailers are not taken.")
}

// === impl Chunks ===

impl Chunks {
    /// Reads on; answers how many bytes are proper. Fewer than all: the next one is not, or the body is over.
    pub(super) fn read(&mut self, input: &[u8]) -> usize {
        let mut at = 0;
        while at < input.len() {
            let (step, state) = match (self.0, input[at]) {
                (State::Data(left), _) => {
                    let here = (input.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - here as u64;
                    (here, if left == 0 { State::DataCr } else { State::Data(left) })
                }
                (state, byte) => match state.step(byte) {
                    Some(state) => (1, state),
                    None => break,
                },
            };
            self.0 = state;
            at += step;
        }
        at
    }

    /// Whether the last byte of the body has been read.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }
}

// === impl State ===

impl State {
    /// The next state, if `byte` may stand here.
    fn step(self, byte: u8) -> Option<Self> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match self {
            Self::Start => digit.map(|size| Self::Size { digits: 1, size }),
            Self::Size { size, .. } if byte == b'\r' => Some(Self::SizeEnd(size)),
            Self::Size { digits, size } if digits < DIGITS_MAX => {
                digit.map(|digit| Self::Size { digits: digits + 1, size: size << 4 | digit })
            }
            Self::SizeEnd(0) => (byte == b'\n').then_some(Self::LastCr),
            Self::SizeEnd(size) => (byte == b'\n').then_some(Self::Data(size)),
            Self::DataCr => (byte == b'\r').then_some(Self::DataLf),
            Self::DataLf => (byte == b'\n').then_some(Self::Start),
            Self::LastCr => (byte == b'\r').then_some(Self::LastLf),
            Self::LastLf => (byte == b'\n').then_some(Self::Over),
            Self::Size { .. } | Self::Data(_) | Self::Over => None,
        }
    }
}
