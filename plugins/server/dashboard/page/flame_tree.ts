// Stacks as the tree that a flame graph draws: reasons, and in them functions, the outermost first.
import type { Stacks } from "../../../../core/view/view.ts";

export interface FlameNode {
  readonly name: string;
  /** Drops that were shared out to it and to what it called. */
  value: number;
  /** The reason that it lies in; empty for the root. */
  readonly reason: string;
  readonly children: FlameNode[];
}

export function flameTree(stacks: Stacks["stacks"]): FlameNode {
  const root = newNode("all drops with a stack", "");
  for (const { reason, frames, drops } of stacks) {
    if (drops <= 0) continue;
    root.value += drops;
    let node = child(root, reason, reason);
    node.value += drops;
    for (const frame of frames) {
      node = child(node, frame, reason);
      node.value += drops;
    }
  }
  return root;
}

function child(node: FlameNode, name: string, reason: string): FlameNode {
  let found = node.children.find((each) => each.name === name);
  if (found === undefined) node.children.push(found = newNode(name, reason));
  return found;
}

function newNode(name: string, reason: string): FlameNode {
  return { name, value: 0, reason, children: [] };
}
