// Asks for the token where the server wants one. It goes into a cookie that no script can read.
import { ask, failureText } from "./api.ts";
import { byId, fill, make, setText } from "./element.ts";

/** Asks; `done` is called when the server has taken the token. */
export function askToken(done: () => void): void {
  const dialog = byId<HTMLDialogElement>("login");
  const token = make("input", {
    name: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const error = make("p", { id: "login-error", class: "error", role: "alert" });
  const submit = make("button", { type: "submit", class: "primary" }, "Log in");
  const form = make(
    "form",
    {},
    make("h2", { id: "login-title" }, "Log in"),
    make(
      "p",
      { class: "muted" },
      "This dropwatch was started with a token: only who has it may look.",
    ),
    make("label", { class: "field" }, make("span", {}, "Token"), token),
    error,
    submit,
  );
  const send = async (): Promise<void> => {
    submit.disabled = true;
    const answer = await ask("/login", "POST", { token: token.value });
    submit.disabled = false;
    if ("failed" in answer) {
      setText(
        error,
        answer.failed.status === 401 ? "That isn't the token." : failureText(answer.failed),
      );
      token.select();
      return;
    }
    dialog.close();
    done();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
  // There is nothing to see without it.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  fill(dialog, form);
  dialog.showModal();
}
