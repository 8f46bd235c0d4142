//! What becomes of keyed state at a start.

use super::{Judged, Recovery};
use crate::connect::Connected;
use crate::keyed_start::{self, KeyedStart};
use weir_protocol::connector::ConnectorError;
use weir_protocol::remedy::Remedy;
use weir_protocol::verdict::{KnownPartition, Verdict};

impl Recovery<'_> {
    /// What becomes of keyed state, judged before anybody is fenced and again after.
    pub(super) fn keyed_start(
        &self,
        connected: &Connected,
        partitions: &[KnownPartition],
        judged: &Judged<'_>,
    ) -> Result<Option<KeyedStart>, ConnectorError> {
        let (manifest, checkpoint) = match judged {
            Judged::Savepoint { from, .. } => (&from.manifest, from.directory.clone()),
            Judged::Decision(Verdict::Restore { manifest, .. }) => {
                (&**manifest, self.store.path(&manifest.id))
            }
            Judged::Decision(_) => return keyed_start::judge(self.plan, partitions, None, None, false),
        };
        if manifest.finished && !self.restart_finished {
            return Err(ConnectorError::refused(format!(
                "the savepoint of pipeline {} is of a finished one: checkpoint {} was drained to the end of its input, all windows are closed; to start from it all the same, run with --restart-finished",
                manifest.pipeline, manifest.id
            ))
            .helped_by(Remedy::RestartFinished));
        }
        // The decision of a start from a savepoint holds the savepoint's state as it was, so a crash behind it still
        // divides anew.
        let divide_anew = matches!(judged, Judged::Savepoint { .. }) || manifest.is_savepoint_start();
        let start =
            keyed_start::judge(self.plan, partitions, Some(manifest), Some(checkpoint.clone()), divide_anew)?;
        for part in start.iter().flat_map(|start| &start.states.parts) {
            let directory = checkpoint.join(part.directory());
            let mut checked = connected.states.check_quickly(&directory, part);
            if self.verify {
                checked = checked.and_then(|()| connected.states.check_wholly(&directory, part));
            }
            checked.map_err(|damage| {
                ConnectorError::refused(format!(
                    "checkpoint {} is decided and cannot be restored: {damage}; bring the file back from a copy, or start from a savepoint (weir run --from-savepoint)",
                    manifest.id
                ))
                .helped_by(Remedy::Savepoints)
            })?;
        }
        Ok(start)
    }
}
