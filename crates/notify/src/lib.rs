//! Who is told when something needs a human: webhooks, commands and desktop notifications, once and not too often.
