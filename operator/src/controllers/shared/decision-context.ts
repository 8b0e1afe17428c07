/** What a decision may look at besides the world. */
export interface DecisionContext {
  readonly driverName: string;
  readonly nowMs: number;
  /** Whether the schema of the object has `status.conditions`. */
  readonly hasConditions: boolean;
}
