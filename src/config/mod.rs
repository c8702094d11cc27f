//! The YAML as written, then as meant. Nobody below knows it; [`settings::Settings`] is handed to `server::assemble`.

pub mod settings;
