"""Taking a signed proof once."""

from __future__ import annotations

import hashlib
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding
from django.db import IntegrityError, transaction

from devices.core.proof import BadProof, Proof
from devices.models import UsedProof


def use_proof(proof: Proof, *, now: datetime) -> None:
    """Takes the proof this once. Raises BadProof if it was shown before."""
    leaf = hashlib.sha256(proof.chain[0].public_bytes(Encoding.DER)).hexdigest()
    UsedProof.objects.filter(until__lt=now).delete()
    try:
        with transaction.atomic():
            UsedProof.objects.create(jti=f"{leaf}:{proof.jti}", until=proof.replay_until)
    except IntegrityError as error:
        raise BadProof("This proof was used before: sign a fresh one with a new jti.") from error
