import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  // `npm run dev` shows the page from its sources, with the data of a running Headrace.
  const server = loadEnv(mode, ".", "HEADRACE_")["HEADRACE_URL"] ?? "http://127.0.0.1:8420";
  return {
    plugins: [react()],
    build: {
      outDir: "dist",
      target: "es2022",
      // What is bundled keeps its licences; the font's stands in public/licences.
      license: { fileName: "licences/scripts.md" },
      reportCompressedSize: false,
    },
    server: { proxy: { "/v1": server, "/demo": server, "/ws": { target: server, ws: true } } },
  };
});
