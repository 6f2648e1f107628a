// Starts Swagger UI on this server's own schema; no validator of another host is asked.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
