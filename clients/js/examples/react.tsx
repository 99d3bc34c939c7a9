import { createRoot } from "react-dom/client";
import { usePipelineStatus } from "rag-pipeline-status-client/react";

const url = new URLSearchParams(location.search).get("url") ?? "http://127.0.0.1:8004";

function Pipelines() {
  const { connection, pipelines } = usePipelineStatus({ url });
  return (
    <main>
      <p>{connection.status}</p>
      {Object.entries(pipelines).map(([id, state]) => (
        <section key={id}>
          <h2>{`${id}: ${state.status}`}</h2>
          {state.files_processing.map((file) => (
            <progress key={file.id ?? file.name} title={file.name} value={file.progress ?? undefined} />
          ))}
        </section>
      ))}
    </main>
  );
}

createRoot(document.getElementById("root") ?? document.body).render(<Pipelines />);
