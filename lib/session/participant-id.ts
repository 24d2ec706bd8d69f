/** Names one tenant of a slot: a participant of a snapshot, or a {@link StallReport}. */
export interface ParticipantId {
  /** Slot of the participant. */
  slot: number
  /** Which tenant of the slot it is. */
  epoch: number
}

/** Names a participant in maps and sets. */
export function keyOf({ slot, epoch }: ParticipantId): string {
  return `${slot}.${epoch}`
}
