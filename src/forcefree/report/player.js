(() => {
  const clips = JSON.parse(document.getElementById("clips").textContent);
  const slider = document.getElementById("frame");
  const button = document.getElementById("play");
  const clock = document.getElementById("clock");
  const scenes = [];

  function scene(holder, clip) {
    const viewer = $3Dmol.createViewer(holder, { backgroundAlpha: 0, antialias: true });
    const model = viewer.addModelsAsFrames(clip.xyz, "xyz", { assignBonds: false });
    const frames = model.frames.filter((atoms) => atoms.length > 0);
    const neighbours = frames[0].map(() => []);
    for (const [a, b] of clip.bonds) {
      neighbours[a].push(b);
      neighbours[b].push(a);
    }
    for (const atoms of frames) {
      atoms.forEach((atom, index) => {
        atom.index = index;
        atom.bonds = neighbours[index];
        atom.bondOrder = neighbours[index].map(() => 1);
      });
    }
    viewer.setStyle({}, { stick: { radius: 0.11 }, sphere: { scale: 0.24 } });
    if (clip.periodic) viewer.addUnitCell(model);
    viewer.setFrame(0);
    viewer.zoomTo();
    viewer.zoom(clip.periodic ? 0.95 : 1.45);
    viewer.render();
    return { viewer, clip, frames: frames.length };
  }

  function show(index) {
    slider.value = index;
    const { clip } = scenes[0];
    clock.textContent = ((index * clip.spacing) / 1000).toFixed(3) + " ps";
    for (const one of scenes) {
      one.viewer.setFrame(Math.min(index, one.frames - 1)).then(() => one.viewer.render());
    }
  }

  try {
    clips.forEach((clip, index) => scenes.push(scene(document.getElementById("scene" + index), clip)));
  } catch (error) {
    document.getElementById("viewer").classList.add("failed");
    return;
  }
  const count = Math.max(...scenes.map((one) => one.frames));
  slider.max = count - 1;
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const start = () => {
    timer = setInterval(() => show((Number(slider.value) + 1) % count), 50);
    button.textContent = "Pause";
  };
  button.addEventListener("click", () => (timer === null ? start() : stop()));
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  window.addEventListener("resize", () => scenes.forEach((one) => one.viewer.resize()));
  show(0);
})();
