// What the page asks of its server.
import { ask } from "./shared/server.js";

export const project = () => ask("/api/project");
export const image = (key) => ask(`/api/images/${key}`);
export const save = (key, drawing) => ask(`/api/images/${key}`, "PUT", drawing);
export const leastSure = (after) => ask(`/api/least_sure?after=${after}`);
export const addClass = (name) => ask("/api/classes", "POST", { name });
