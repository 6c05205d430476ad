// What the page asks of the server.

/** Someone else changed the image since this page read it. */
export class Conflict extends Error {}

export const project = () => ask("/api/project");
export const image = (key) => ask(`/api/images/${key}`);
export const save = (key, drawing) => ask(`/api/images/${key}`, "PUT", drawing);
export const mask = (key, bigBox) => ask(`/api/images/${key}/mask`, "POST", { big_box: bigBox });
export const addClass = (name) => ask("/api/classes", "POST", { name });
export const pixelsOf = (key, part = {}) => `/api/images/${key}/pixels?${new URLSearchParams(part)}`;

async function ask(path, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer; is ringsam annotate still running?");
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
