//! A generic OTP-style supervisor over ractor.
