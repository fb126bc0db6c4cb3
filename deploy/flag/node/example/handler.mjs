/**
 * An application that obeys the flag, in the form of a Lambda function behind a URL: GET /health, and PUT, GET, DELETE
 * /users/{id}. Which tables it works on, the flag decides anew for each request; while writes are blocked they wait.
 *
 * The flag and its clients live as long as the sandbox: later invocations share the view.
 */
import { DeleteItemCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { Blocked, Flag, FlagError, Unreachable } from "../flag.mjs";

const { TABLE_PREFIX, STALENESS_MS = "1000", LONGEST_REQUEST_MS = "2000" } = process.env;
const entities = `${TABLE_PREFIX}-entities`;
const users = `${TABLE_PREFIX}-users`;

const reader = new DynamoDBClient({});
const writer = new DynamoDBClient({ maxAttempts: 1 }); // a write is never sent again without asking the flag again
const flag = new Flag({
  client: reader,
  table: `${entities}-tableturn`,
  stalenessMs: Number(STALENESS_MS),
  longestRequestMs: Number(LONGEST_REQUEST_MS),
});

/** What a user is in either schema. */
const schemas = {
  source: {
    table: users,
    key: (id) => ({ id: { S: id } }),
    item: ({ id, name, email, active, at }) => ({
      ...schemas.source.key(id),
      name: { S: name },
      email: { S: email },
      isActive: { BOOL: active },
      createdAt: { N: String(at) },
    }),
    shown: (item) => ({ id: item.id.S, name: item.name.S, email: item.email.S, active: item.isActive.BOOL }),
  },
  target: {
    table: entities,
    key: (id) => ({ PK: { S: `USER#${id}` }, SK: { S: "METADATA" } }),
    item: ({ id, name, email, active, at }) => ({
      ...schemas.target.key(id),
      entityType: { S: "USER" },
      id: { S: id },
      name: { S: name },
      fullName: { S: name },
      email: { S: email },
      status: { S: active ? "ACTIVE" : "INACTIVE" },
      createdAt: { N: String(at) },
      version: { N: "1" },
      GSI1PK: { S: "USER" },
      GSI1SK: { S: new Date(at).toISOString() },
      GSI2PK: { S: email },
      GSI2SK: { S: "USER" },
    }),
    shown: (item) => ({
      id: item.id.S,
      name: item.fullName?.S ?? item.name.S,
      email: item.email.S,
      active: item.status?.S === "ACTIVE",
    }),
  },
};

/** Make a command of the schema that serves now, and send it once, within the time that the permission gives. */
async function write(command) {
  const permission = await flag.permission();
  await writer.send(command(schemas[permission.side]), { abortSignal: permission.signal() });
  return { serving: permission.side };
}

const routes = {
  async PUT(id, body) {
    const { name, email, active = true } = JSON.parse(body);
    const user = { id, name, email, active, at: Date.now() };
    return write((schema) => new PutItemCommand({ TableName: schema.table, Item: schema.item(user) }));
  },
  async DELETE(id) {
    return write((schema) => new DeleteItemCommand({ TableName: schema.table, Key: schema.key(id) }));
  },
  async GET(id) {
    const schema = schemas[await flag.serving()];
    const asked = { TableName: schema.table, Key: schema.key(id), ConsistentRead: true };
    const { Item } = await reader.send(new GetItemCommand(asked));
    return Item && schema.shown(Item);
  },
};

const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export async function handler({ requestContext, rawPath, body }) {
  if (rawPath === "/health") return answer(200, await flag.health());
  const [, kind, id] = rawPath.split("/");
  const route = kind === "users" && id ? routes[requestContext.http.method] : undefined;
  if (!route) return answer(404, { message: "there is nothing here" });
  try {
    const found = await route(decodeURIComponent(id), body);
    return found ? answer(200, found) : answer(404, { message: "no such user" });
  } catch (error) {
    if (error instanceof Blocked || error instanceof Unreachable) return answer(503, { message: "try again" });
    if (error instanceof FlagError) return answer(500, { message: error.name });
    return answer(502, { message: "it is not known whether this took place" });
  }
}
