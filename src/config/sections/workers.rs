use std::num::NonZero;

use crate::config::document::Content;
use crate::config::section::Section;
use crate::config::settings::Workers;

pub fn read(mut section: Section<'_>) -> Workers {
    let threads = section.optional("threads").and_then(|value| match &value.node.content {
        Content::Scalar(written) if written == "auto" => None,
        _ => value.integer(&(1..=512)),
    });
    let available = || std::thread::available_parallelism().map_or(1, NonZero::get);
    Workers { threads: threads.unwrap_or_else(available) }
}
