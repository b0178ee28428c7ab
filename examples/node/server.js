// Handles CloudEvents over HTTP (binary mode): attributes are headers ce-NAME, the body is the event's data.
// Nothing but Node's own library.
"use strict";
const http = require("node:http");

function handle(type, id, data) {
  if (type !== "shop.order.placed") {
    return "skip"; // passed over and counted
  }
  const order = JSON.parse(data);
  console.log(`order ${order.number} of ${order.customer}, event ${id}`);
  return "done";
}

const server = http.createServer((request, response) => {
  if (request.method !== "POST") {
    return response.end("ok\n"); // the probe
  }
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    try {
      const { "ce-type": type, "ce-id": id } = request.headers;
      response.setHeader("Drover-Result", handle(type, id, Buffer.concat(parts).toString()));
      response.statusCode = 204;
    } catch (error) {
      // 422: it will never succeed. A 500 would mean: try again.
      response.statusCode = error instanceof SyntaxError ? 422 : 500;
      response.write(error.message);
    }
    response.end();
  });
});

// Longer than the worker keeps a connection: it never writes to one that is just being closed.
server.keepAliveTimeout = 65_000;
server.listen(process.env.PORT || 3000);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
