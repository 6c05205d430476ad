// What the page asks of its server.
import { ask } from "./shared/server.js";

export const project = () => ask("/api/project");
export const object = (id) => ask(`/api/objects/${id}`);
export const judge = (id, verdict) => ask(`/api/objects/${id}`, "PUT", verdict);
