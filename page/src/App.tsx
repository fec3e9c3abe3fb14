import { Tabs } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useEffect, useState } from "react";
import type { Status } from "./api/types";
import { AskPane } from "./ask/AskPane";
import { useDemo } from "./demo";
import { DeskPane } from "./desk/DeskPane";
import { DocumentsPane } from "./documents/DocumentsPane";
import { EvidencePanel } from "./evidence/EvidencePanel";
import { usePolled } from "./lib/poll";
import { LivePane } from "./live/LivePane";
import { StatusPane } from "./status/StatusPane";
import { Header } from "./ui/Header";

const TABS = ["ask", "live", "desk", "documents", "status"] as const;
type Tab = (typeof TABS)[number];
const NAMES: Record<Tab, string> = { ask: "Ask", live: "Live", desk: "Desk", documents: "Documents", status: "Status" };
const STATUS_EVERY_MS = 1500;
const REFUSED_EVERY_MS = 60_000;
/** Views of what only operators are told. */
const OPERATORS: ReadonlySet<Tab> = new Set(["desk", "status"]);

export function App() {
  const wide = useMediaQuery("(min-width: 60em)", true, { getInitialValueInEffect: false });
  const demo = useDemo();
  const [reader, setReader] = useState(false);
  const status = usePolled<Status>("/v1/status", reader ? REFUSED_EVERY_MS : STATUS_EVERY_MS);
  const refused = status.problem?.status === 403;
  useEffect(() => setReader(refused), [refused]);
  const [tab, setTab] = useTab();
  const tabs = TABS.filter(
    (one) => (one !== "ask" || !wide) && (one !== "desk" || demo.state) && !(refused && OPERATORS.has(one)),
  );
  const shown = tabs.includes(tab) ? tab : "live";
  return (
    <div className="app">
      <a className="skip" href="#main" onClick={focusMain}>
        Skip to the content
      </a>
      <Header status={status} reader={refused} clock={demo.state?.now ?? null} onStatus={() => setTab("status")} />
      <main id="main" tabIndex={-1} className={wide ? "main main-wide" : "main"}>
        {wide && <AskPane demo={demo} />}
        <Tabs
          className="side"
          value={shown}
          onChange={(value) => setTab((value ?? "live") as Tab)}
          keepMounted={false}
        >
          <Tabs.List aria-label="Views" grow={!wide}>
            {tabs.map((one) => (
              <Tabs.Tab key={one} value={one}>
                {!wide && one === "documents" ? "Docs" : NAMES[one]}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {!wide && (
            <Tabs.Panel value="ask">
              <AskPane demo={demo} />
            </Tabs.Panel>
          )}
          <Tabs.Panel value="live" tabIndex={0}>
            <LivePane status={status.value} reader={refused} simulator={demo.state?.simulator ?? null} onChanged={demo.refresh} />
          </Tabs.Panel>
          <Tabs.Panel value="desk" tabIndex={0}>
            <DeskPane onAsk={() => !wide && setTab("ask")} />
          </Tabs.Panel>
          <Tabs.Panel value="documents" tabIndex={0}>
            <DocumentsPane status={status.value} reader={refused} />
          </Tabs.Panel>
          <Tabs.Panel value="status" tabIndex={0}>
            <StatusPane status={status} />
          </Tabs.Panel>
        </Tabs>
      </main>
      <EvidencePanel />
    </div>
  );
}

/** The open view, kept in the address so that a reload and a link find it. */
function useTab(): [Tab, (tab: Tab) => void] {
  const [tab, setTab] = useState<Tab>(fromAddress);
  useEffect(() => {
    const follow = () => setTab(fromAddress());
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  return [
    tab,
    (next) => {
      window.history.replaceState(null, "", `#${next}`);
      setTab(next);
    },
  ];
}

function fromAddress(): Tab {
  return TABS.find((one) => one === window.location.hash.slice(1)) ?? "ask";
}

// Not by the address: that names the open view.
function focusMain(event: React.MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
