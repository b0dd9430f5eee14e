//! `[server.env]`: the user's own variables, each of which may come from another layer.

use std::collections::BTreeMap;

use figment::value::Value;

use crate::reader::Section;
use crate::secret::masked;
use crate::value::{Reject, Shown, text};
use crate::{Origin, ServerEnv};

pub(super) fn read(section: &mut Section<'_, '_>) -> ServerEnv {
    let key = section.key("env");
    let found = section.reader().found(&key);
    let mut env = BTreeMap::new();
    // Anything but a table has been reported, and taken out, with the layers.
    for (name, value) in found.value.as_dict().into_iter().flatten() {
        match variable(name, value) {
            Ok(text) => {
                let origin = section.reader().origin_of_value(value);
                let shown = masked(name, &text).to_owned().shown();
                section.reader().note(format!("{key}.{name}"), shown, origin);
                env.insert(name.clone(), text);
            }
            Err(reject) => section.reader().reject_entry(&key, name, value, reject),
        }
    }
    if env.is_empty() {
        section.reader().note(key, "{}".to_owned(), Origin::Default);
    }
    ServerEnv(env)
}

fn variable(name: &str, value: &Value) -> Result<String, Reject> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Reject::invalid("no variable can be called that", "a name without ="));
    }
    text(value)
}
