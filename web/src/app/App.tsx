export function App() {
  return <main>Runstream</main>;
}
