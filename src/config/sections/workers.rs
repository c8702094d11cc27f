use crate::config::section::Section;
use crate::config::settings::Workers;

pub fn read(mut section: Section<'_>) -> Workers {
    Workers { threads: section.threads("threads", 1..=512, |processors| processors) }
}
