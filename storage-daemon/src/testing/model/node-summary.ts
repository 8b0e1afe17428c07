/** How the store names and describes a node, against the model. */
import type { NodeName, NodeSummary } from '../../store/store-api.ts';
import { expectHolds } from './simulation-failure.ts';
import type { ModelNode } from './store-model.ts';

/** The store's address of a node. */
export function nameOf(node: ModelNode): NodeName {
  return { kind: node.kind, name: node.name };
}

/** Compares what the store says of a node with the model. */
export function checkSummary(node: ModelNode, summary: NodeSummary): void {
  const compare = (field: string, found: unknown, expected: unknown) =>
    expectHolds(
      found === expected,
      () =>
        `${node.kind} ${node.name}: ${field} is ${String(found)} instead of ${String(expected)}`,
    );
  compare('name', summary.name, node.name);
  compare('kind', summary.kind, node.kind);
  compare('size', summary.sizeBlocks, node.sizeBlocks);
  compare('attributes', summary.attributes, node.attributes);
  compare(
    'uuid',
    Buffer.from(summary.uuid).toString('hex'),
    Buffer.from(node.uuid).toString('hex'),
  );
  if (node.createdMs !== undefined) compare('creation time', summary.createdMs, node.createdMs);
}
