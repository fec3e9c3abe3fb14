import { Tabs } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useEffect, useState } from "react";
import type { DemoState, Status } from "./api/types";
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

export function App() {
  const wide = useMediaQuery("(min-width: 60em)", true, { getInitialValueInEffect: false });
  const demo = useDemo();
  const status = usePolled<Status>("/v1/status", STATUS_EVERY_MS);
  const [tab, setTab] = useTab();
  const shown = tabFor(tab, wide, demo.state);
  return (
    <div className="app">
      <a className="skip" href="#main" onClick={focusMain}>
        Skip to the content
      </a>
      <Header status={status} clock={demo.state?.now ?? null} onStatus={() => setTab("status")} />
      <main id="main" tabIndex={-1} className={wide ? "main main-wide" : "main"}>
        {wide && <AskPane demo={demo} />}
        <Tabs
          className="side"
          value={shown}
          onChange={(value) => setTab((value ?? "live") as Tab)}
          keepMounted={false}
        >
          <Tabs.List aria-label="Views" grow={!wide}>
            {TABS.filter((one) => (one !== "ask" || !wide) && (one !== "desk" || demo.state)).map((one) => (
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
            <LivePane status={status.value} simulator={demo.state?.simulator ?? null} onChanged={demo.refresh} />
          </Tabs.Panel>
          <Tabs.Panel value="desk" tabIndex={0}>
            <DeskPane onAsk={() => !wide && setTab("ask")} />
          </Tabs.Panel>
          <Tabs.Panel value="documents" tabIndex={0}>
            <DocumentsPane status={status.value} />
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

function tabFor(tab: Tab, wide: boolean, demo: DemoState | null): Tab {
  if (wide && tab === "ask") return "live";
  return tab === "desk" && !demo ? "live" : tab;
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
