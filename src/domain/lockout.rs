use super::clock::Timestamp;
#[derive(Clone, Copy, Debug)]
pub struct LockoutPolicy;
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lockout {
    pub failures: u32,
    pub last_failure_at: Option<Timestamp>,
    pub blocked_until: Option<Timestamp>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub until: Timestamp,
}
impl Lockout {
    pub fn reserve(self, _: &LockoutPolicy, _: Timestamp) -> Result<Self, Blocked> {
        Ok(self)
    }
}
