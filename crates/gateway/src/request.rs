//! What a client asks for, validated before the server ever sees it.
