//! Steps of the wall clock, told from the passing of time by a clock that cannot be set.

use std::time::Duration;

use super::clock::Timestamp;

/// What is less than this is the work of a daemon that keeps the time.
pub const NOTABLE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDirection {
    Forward,
    Back,
}

impl StepDirection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Back => "back",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    pub direction: StepDirection,
    pub by: Duration,
}

/// Compares both clocks from look to look.
#[derive(Clone, Copy, Debug)]
pub struct ClockWatch {
    wall: Timestamp,
    steady: Duration,
}

impl ClockWatch {
    /// `steady` is the time since any fixed moment.
    pub const fn start(wall: Timestamp, steady: Duration) -> Self {
        Self { wall, steady }
    }

    /// A step since the last look, if it is a notable one.
    pub fn look(&mut self, wall: Timestamp, steady: Duration) -> Option<ClockStep> {
        let expected = self.wall.plus(steady.saturating_sub(self.steady));
        (self.wall, self.steady) = (wall, steady);
        let step = if wall >= expected {
            ClockStep { direction: StepDirection::Forward, by: wall.since(expected) }
        } else {
            ClockStep { direction: StepDirection::Back, by: expected.since(wall) }
        };
        (step.by > NOTABLE).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_that_passes_is_no_step_however_long_the_pause() {
        let start = Timestamp::from_secs(1_800_000_000);
        let mut watch = ClockWatch::start(start, 7 * SECOND);
        assert_eq!(watch.look(start.plus(10 * SECOND), 17 * SECOND), None);
        assert_eq!(watch.look(start.plus(90_010 * SECOND), 90_017 * SECOND), None);
        // A correction of five minutes is none yet, in either direction.
        assert_eq!(watch.look(start.plus(90_310 * SECOND), 90_017 * SECOND), None);
        assert_eq!(watch.look(start.plus(90_010 * SECOND), 90_017 * SECOND), None);
    }

    #[test]
    fn a_step_is_told_once_with_its_direction_and_length() {
        let start = Timestamp::from_secs(1_800_000_000);
        let mut watch = ClockWatch::start(start, Duration::ZERO);
        let hour = 3600 * SECOND;
        let step = watch.look(start.plus(hour + 10 * SECOND), 10 * SECOND);
        assert_eq!(step, Some(ClockStep { direction: StepDirection::Forward, by: hour }));
        assert_eq!(watch.look(start.plus(hour + 20 * SECOND), 20 * SECOND), None);
        let step = watch.look(start.plus(30 * SECOND), 30 * SECOND);
        assert_eq!(step, Some(ClockStep { direction: StepDirection::Back, by: hour }));
        assert_eq!(watch.look(start.plus(40 * SECOND), 40 * SECOND), None);
    }
}
