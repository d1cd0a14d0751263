// A server that stands for a service, one for each test of a file: what it refused, the real one would have
// refused, and that is a failure.
import { afterEach, beforeEach, expect } from "bun:test";

export interface Service {
  /** Why it refused what it refused. A test that wants to be refused takes the reasons away. */
  readonly refused: readonly string[];
  open(): Promise<void>;
  close(): Promise<void>;
}

/** Opens what `make` makes before each test, and closes it behind it. */
export function inEachTest(make: () => Service): void {
  let service: Service;
  beforeEach(async () => {
    service = make();
    await service.open();
  });
  afterEach(async () => {
    await service.close();
    expect(service.refused).toEqual([]);
  });
}
