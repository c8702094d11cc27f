use std::time::Duration;

use crate::config::section::Section;
use crate::config::settings::Audit;

const DAY: Duration = Duration::from_secs(86_400);

pub fn read(mut section: Section<'_>) -> Audit {
    let keep = section.duration("keep", 400 * DAY, DAY..=3650 * DAY);
    if keep < 90 * DAY {
        section.warn("keep", "many intrusions are noticed only after months", "write 90d or more");
    }
    Audit { keep }
}
