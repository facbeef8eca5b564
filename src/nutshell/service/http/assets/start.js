// Shows openapi.json. In a file of its own, for the page allows no script in itself.
SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("docs"),
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  syntaxHighlight: false,
  // Else a badge is asked for at another host.
  validatorUrl: null,
});
