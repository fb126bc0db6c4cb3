/** The handler behind a server on loopback, as a function URL would call it: `PORT=0 node example/server.mjs`. */
import { createServer } from "node:http";
import { handler } from "./handler.mjs";

const server = createServer(async (request, response) => {
  try {
    const parts = [];
    for await (const part of request) parts.push(part);
    const event = {
      requestContext: { http: { method: request.method } },
      rawPath: request.url,
      body: Buffer.concat(parts).toString(),
    };
    const { statusCode, headers, body } = await handler(event);
    response.writeHead(statusCode, headers).end(body);
  } catch {
    response.destroy(); // who asked has gone away; unhandled, it would end the server
  }
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => console.log(server.address().port));
