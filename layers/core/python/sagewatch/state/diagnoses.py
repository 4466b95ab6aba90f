"""What stands in the table of diagnoses: who may swap an endpoint now, and whether anybody may."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sagewatch.diagnose.model import Diagnosis, Switch
from sagewatch.incident.model import Entry
from sagewatch.ports import ANY_VERSION
from sagewatch.state.rows import Rows, write_entry, write_row

DIAGNOSED = "diagnosed-endpoints"


class DiagnosisRows(Rows):
    """Leases of endpoints, the diagnosis of each incident, and the kill switch."""

    def load_diagnosis(self, endpoint: str) -> Diagnosis | None:
        """The endpoint's lease, or None where it was never taken."""
        return self.load_versioned(f"diagnosis#{endpoint}", "lease", Diagnosis)

    def list_diagnosed(self) -> list[str]:
        """Endpoints that were ever leased, those among them that monitors.yml no longer lists."""
        return [row.sk for row in self._items.query(DIAGNOSED)]

    def load_diagnosis_of(self, incident_id: str) -> Diagnosis | None:
        """The diagnosis that was made for an incident, or None."""
        return self.load_versioned(f"incident#{incident_id}", "diagnosis", Diagnosis)

    def save_diagnosis(self, diagnosis: Diagnosis, entries: Sequence[Entry]) -> Diagnosis:
        """Write the lease, the incident's copy and its entries at once; the diagnosis to save next."""
        pk = f"incident#{diagnosis.incident_id}"
        lease = write_row(f"diagnosis#{diagnosis.endpoint}", "lease", diagnosis, diagnosis.version)
        self._items.write(
            [
                lease,
                write_row(DIAGNOSED, diagnosis.endpoint, diagnosis.incident_id, ANY_VERSION),
                write_row(pk, "diagnosis", diagnosis, ANY_VERSION),
                *(write_entry(diagnosis.incident_id, entry) for entry in entries),
            ]
        )
        return msgspec.structs.replace(diagnosis, version=lease.item.version)

    def load_switch(self) -> Switch:
        """The kill switch; on where nobody ever threw it, off where its row cannot be read: somebody meant something."""
        item = self._items.get("control#swaps", "switch")
        try:
            return msgspec.json.decode(item.body, type=Switch) if item else Switch()
        except msgspec.MsgspecError:
            return Switch(on=False, reason="its row in the state table cannot be read; throw it again")

    def save_switch(self, switch: Switch) -> None:
        """Throw the kill switch."""
        self._items.write([write_row("control#swaps", "switch", switch, ANY_VERSION)])
