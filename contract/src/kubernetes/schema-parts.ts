/** Pieces that several custom resources share. */
import { z } from 'zod';

/** A rule in CEL that the API server checks, and what it says when the rule is broken. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
}

/** `meta` with a description and CEL rules. */
export function ruled(description: string, ...rules: readonly ValidationRule[]) {
  return { description, 'x-kubernetes-validations': rules };
}

/** The field cannot be changed once it is set; its owner also needs {@link requiredOnceSet}. */
export function immutable(field: string): ValidationRule {
  return { rule: 'self == oldSelf', message: `${field} is immutable` };
}

/** A rule for the parent: the field cannot be dropped once it is set. */
export function requiredOnceSet(field: string): ValidationRule {
  return {
    rule: `!has(oldSelf.${field}) || has(self.${field})`,
    message: `${field} is required once set`,
  };
}

/** A rule for the parent: one of the two fields is set, and not both. */
export function exactlyOneOf(left: string, right: string): ValidationRule {
  return {
    rule: `has(self.${left}) != has(self.${right})`,
    message: `exactly one of ${left} and ${right} must be set`,
  };
}

/** RFC 3339. */
export const dateTimeSchema = z.iso.datetime({ offset: true });

/** An int64 that may be larger than JavaScript can count. */
export const int64Schema = z.int().meta({ format: 'int64' });

/** A resource quantity, as string or integer. */
export const quantitySchema = z.union([z.int(), z.string()]).meta({
  pattern: String.raw`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`,
  'x-kubernetes-int-or-string': true,
});

const conditionSchema = z.object({
  type: z.string().max(316).meta({ description: 'What is stated, positively: Ready.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  observedGeneration: int64Schema
    .optional()
    .meta({ description: 'The generation of the object that was looked at.', minimum: 0 }),
  lastTransitionTime: dateTimeSchema.meta({ description: 'When status changed last.' }),
  reason: z.string().min(1).max(1024).meta({
    description: 'Why, in one word for programs.',
    pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
  }),
  message: z.string().max(32_768).meta({ description: 'Why, in a sentence for people.' }),
});

/** `status.conditions`: a list-map by type of metav1.Condition. */
export const conditionsSchema = z.array(conditionSchema).meta({
  description: 'What holds and what does not, with reason and message.',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
});
