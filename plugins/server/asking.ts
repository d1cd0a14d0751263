// What the handlers of a request know beside the request itself.

/** The types of hono's context here. */
export interface Asking {
  Bindings: {
    /** Who asks, as limits count them (see `clientOf`). */
    readonly client: string;
  };
  Variables: {
    /** Whether who asks still has the right to; of a session it can end. */
    allowed: () => boolean;
  };
}
