// What every page asks of its server.

/** Someone else changed what this page read before. */
export class Conflict extends Error {}

export const mask = (key, { big_box, small_box }) => ask(`/api/images/${key}/mask`, "POST", { big_box, small_box });
export const pixelsOf = (key, part = {}) => `/api/images/${key}/pixels?${new URLSearchParams(part)}`;

export async function ask(path, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer; is ringsam still running in the terminal?");
  }
  if (answer.ok) return answer.json();
  const reason = await reasonOf(answer);
  throw answer.status === 409 ? new Conflict(reason) : new Error(reason);
}

async function reasonOf(answer) {
  if (!answer.headers.get("Content-Type")?.includes("json")) return answer.text();
  const { detail } = await answer.json();
  return typeof detail === "string" ? detail : JSON.stringify(detail);
}
