"""Lines that hold a promise of docs/reliability.md, each with what breaks it and the test that must see it broken."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """In `file`, below src/ringsam, `old` becomes `new`; then `test`, below tests, must fail."""

    row: int  # of the table in docs/reliability.md
    fault: str
    file: str
    old: str
    new: str
    test: str

    @property
    def path(self) -> str:
        return f"src/ringsam/{self.file}"


DATA = (
    Mutation(1, "an error of a decoder is no refusal", "data/images.py",
        "except Exception as error:  # decoders raise nearly anything on bytes made to hurt", "except LookupError as error:",
        "failures/test_01_corrupt_images.py::test_an_image_cut_at_every_tenth_is_refused_by_its_path"),
    Mutation(1, "training begins although images are bad", "data/usable.py",
        "if len(checked.errors) > len(left_out):", "if False:",
        "failures/test_01_corrupt_images.py::test_check_doctor_and_train_list_them_and_stop"),
    Mutation(2, "EXIF is not looked at", "data/images.py",
        "return value if value in range(1, 9) else 1", "return 1",
        "failures/test_02_exif.py"),
    Mutation(9, "a box of which little is left is clipped", "data/boxes.py",
        "if kept < MIN_KEPT:", "if kept < MIN_KEPT / 2:",
        "failures/test_09_boxes_outside.py::test_a_box_is_clipped_where_half_of_it_is_kept_else_refused"),
    Mutation(10, "NaN is a number", "data/boxes.py",
        "if not all(math.isfinite(v) for v in (x1, y1, x2, y2)):", "if False:",
        "failures/test_10_impossible_boxes.py::test_a_box_that_is_none_is_an_error_of_its_row"),
    Mutation(11, "a ring may be thinner than a pixel", "data/boxes.py",
        "if ring < MIN_RING_PX:", "if ring <= 0:",
        "failures/test_11_rings.py::test_boxes_without_a_ring_are_errors_of_their_row"),
    Mutation(16, "the last of two equal keys counts", "data/json_rows.py",
        "if len(row) < len(items):", "if False:",
        "data/test_dataset.py::test_a_key_that_stands_twice_is_refused"),
    Mutation(16, "an id may stand twice", "data/rows.py",
        "if self._by_id.find(object_id) is not None:", "if False:",
        "data/test_dataset.py::test_ids_and_files_that_stand_twice_are_refused"),
    Mutation(17, "a link may lead out of the folder", "data/folder.py",
        "if not real.is_relative_to(self._real_root):", "if False:",
        "data/test_dataset.py::test_links_out_of_the_folder_are_refused"),
    Mutation(17, "a name may climb out of the folder", "data/folder.py",
        '''if ".." in re.split(r"[/\\\\]", name):''', "if False:",
        "data/test_dataset.py::test_file_names_that_lead_out_of_the_folder_are_refused"),
)  # fmt: skip

TRAINING = (
    Mutation(22, "nothing to learn from never ends a run", "training/no_signal.py",
        "if pl_module.silent_in_a_row < limit:", "if True:",
        "failures/test_22_no_signal.py::test_steps_without_signal_are_counted_and_many_of_them_end_the_run_with_advice"),
    Mutation(23, "without anchors the loss has no graph", "method/losses.py",
        "return (anchors.sum() + negatives.sum()) * 0.0", "return torch.zeros(())",
        "method/test_losses.py::test_info_nce_without_rows_is_a_zero_that_keeps_the_graph"),
    Mutation(27, "the teacher goes into training with the student", "method/teacher.py",
        "return super().train(False)", "return super().train(mode)",
        "method/test_teacher.py"),
    Mutation(28, "a step that is not finite moves the weights", "training/module.py",
        "if not (self._signal and self._finite):", "if not self._signal:",
        "failures/test_28_not_finite.py::test_a_step_that_is_not_finite_moves_nothing_and_the_run_goes_on"),
    Mutation(28, "the encoder is not put back", "training/non_finite.py",
        "module.adaptation.load_learned(self.good)", "pass",
        "failures/test_28_not_finite.py::test_three_in_a_row_go_back_to_the_start_of_the_epoch_at_half_the_rate"),
    Mutation(30, "a full disk ends the run", "training/checkpoint.py",
        "except (OSError, RuntimeError) as error:", "except LookupError as error:",
        "failures/test_30_full_disk.py::test_a_checkpoint_that_the_disk_refuses_is_told_and_the_run_goes_on"),
    Mutation(30, "a run begins that cannot fit", "training/space.py",
        "if need > free:", "if False:",
        "failures/test_30_full_disk.py::test_a_disk_without_room_for_the_run_is_refused_with_both_numbers"),
    Mutation(31, "what was half-written stays", "training/session.py",
        "remove_orphans(folder.checkpoints)", "pass",
        "failures/test_31_killed_while_saving.py"),
    Mutation(32, "a signal writes no checkpoint", "training/keeping.py",
        'self._save(trainer, f"epoch={epoch:04d}-step={step:08d}.ckpt")', "pass",
        "failures/test_32_signals.py::test_a_signal_ends_the_run_with_a_checkpoint_and_it_goes_on_to_the_same_weights"),
    Mutation(36, "a resume takes any change", "training/run.py",
        "if for_ever or (rows and not allow_change):", "if False:",
        "failures/test_36_resumed_elsewhere.py::test_a_changed_setting_is_shown_and_refused_unless_allowed"),
    Mutation(36, "images may change", "training/run_lock.py",
        '"images": {record.file_name: sha256(record.path) for record in data.images},', '"images": {},',
        "failures/test_36_resumed_elsewhere.py::test_changed_data_is_shown_and_refused_unless_allowed"),
    Mutation(37, "two runs train in one folder", "runs.py",
        'with FileLock(self.path / ".lock", timeout=0):', "with contextlib.nullcontext():",
        "training/test_run.py::test_two_processes_do_not_train_in_one_folder"),
)  # fmt: skip

DOORS = (
    Mutation(33, "the digest beside weights is not compared", "sam/pretrained.py",
        "if digest_file(path).is_file() and not is_as_written(path):", "if False:",
        "sam/test_refused_weights.py::test_cut_weights_of_a_folder_are_refused"),
    Mutation(34, "a pickle is run", "sam/weights.py",
        'state = torch.load(path, map_location="cpu", weights_only=True)', 'state = torch.load(path, map_location="cpu", weights_only=False)',
        "sam/test_refused_weights.py::test_a_hostile_pickle_is_refused_and_not_run"),
    Mutation(35, "another model's weights are not told by name", "sam/weights.py",
        "if what := meta_layout.looks_like(state):", 'if what := "":',
        "sam/test_refused_weights.py::test_what_is_not_plain_sam_is_called_by_its_name"),
    Mutation(41, "a name bound to this machine is let in", "pages/guard.py",
        r'''if self.local and re.sub(r":\d+$", "", host) not in _THIS_MACHINE:''', "if False:",
        "annotate/test_guard.py::test_a_name_that_was_bound_to_this_machine_is_refused"),
    Mutation(41, "any token will do", "pages/guard.py",
        "return hmac.compare_digest(given.encode(), token.encode())", "return bool(given)",
        "annotate/test_guard.py::test_nothing_is_shown_without_the_token"),
    Mutation(42, "a link out of the folder is shown", "pages/pictures.py",
        "images.locate(inside)", "pass",
        "annotate/test_guard.py::test_links_out_of_the_folder_are_left_out_and_told"),
    Mutation(43, "a body may have any length", "pages/guard.py",
        'if int(headers.get("content-length", "0")) > MAX_BODY_BYTES:', "if False:",
        "annotate/test_guard.py::test_a_body_that_is_too_large_is_not_read"),
    Mutation(44, "scripts may stand in the page", "pages/guard.py",
        "script-src 'self';", "script-src 'self' 'unsafe-inline';",
        "annotate/test_guard.py::test_every_answer_forbids_foreign_scripts"),
    Mutation(44, "a name is taken for HTML", "annotate/static/page.js",
        'at("name").textContent = name;', 'at("name").innerHTML = name;',
        "annotate/test_page.py::test_names_are_text_and_an_image_may_hold_nothing"),
    Mutation(45, "a change on an old revision is written", "annotate/store.py",
        "if revision != now.revision:", "if False:",
        "annotate/test_saving.py::test_an_old_revision_is_refused_and_changes_nothing"),
    Mutation(45, "the journal is left empty", "pages/shared_file.py",
        "self._journal.note(self._digest(), changes_between(self.content(), content))", "pass",
        "pages/test_shared_file.py::test_a_process_killed_between_journal_and_file_loses_nothing"),
    Mutation(46, "finished shards are done again", "bulk/__init__.py",
        "if not work.part(number).exists():", "if True:",
        "bulk/test_bulk.py::test_a_failure_loses_no_finished_shard"),
    Mutation(46, "what was done for other boxes is gone on with", "bulk/__init__.py",
        'named = (*about, str(images.resolve()), *settings)', "named = about",
        "bulk/test_bulk.py::test_other_prompts_or_refinements_do_not_go_on_from_what_was_done"),
    Mutation(47, "an export that differs is kept", "export/checks.py",
        "if parity.difference != 0:", "if False:",
        "failures/test_47_export_parity.py::test_a_weight_that_changes_on_its_way_deletes_the_export"),
    Mutation(48, "a formula stays a formula", "bench/table.py",
        '''return f"'{text}" if text.startswith(("=", "+", "-", "@", "\\t")) else text''', "return text",
        "failures/test_48_csv_formulas.py"),
)  # fmt: skip

MUTATIONS = (*DATA, *TRAINING, *DOORS)
